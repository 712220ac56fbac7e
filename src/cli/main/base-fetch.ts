import { baseFetch } from '../../commands/base-fetch.ts'
import { main } from '../main.ts'

await main(baseFetch)
