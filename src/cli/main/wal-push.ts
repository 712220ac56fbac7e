import { walPush } from '../../commands/wal-push.ts'
import { main } from '../main.ts'

await main(walPush)
