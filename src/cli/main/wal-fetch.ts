/** Entry point of `wal-fetch`, which becomes dist/wal-fetch.js. */
import { walFetch } from '../../commands/wal-fetch.ts'
import { main } from '../main.ts'

await main(walFetch)
