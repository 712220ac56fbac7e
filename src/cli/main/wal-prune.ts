/** Entry point of `wal-prune`, which becomes dist/wal-prune.js. */
import { walPrune } from '../../commands/wal-prune.ts'
import { main } from '../main.ts'

await main(walPrune)
