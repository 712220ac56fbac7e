/** Entry point of `base-push`, which becomes dist/base-push.js. */
import { basePush } from '../../commands/base-push.ts'
import { main } from '../main.ts'

await main(basePush)
