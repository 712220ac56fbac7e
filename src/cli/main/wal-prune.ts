import { walPrune } from '../../commands/wal-prune.ts'
import { main } from '../main.ts'

await main(walPrune)
