/** Entry point of `wal-push`, which becomes dist/wal-push.js. */
import { walPush } from '../../commands/wal-push.ts'
import { main } from '../main.ts'

await main(walPush)
