import { walFetch } from '../../commands/wal-fetch.ts'
import { main } from '../main.ts'

await main(walFetch)
