import { basePush } from '../../commands/base-push.ts'
import { main } from '../main.ts'

await main(basePush)
