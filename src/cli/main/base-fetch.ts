/** Entry point of `base-fetch`, which becomes dist/base-fetch.js. */
import { baseFetch } from '../../commands/base-fetch.ts'
import { main } from '../main.ts'

await main(baseFetch)
