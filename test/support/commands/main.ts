import { main } from '../../../src/cli/main.ts'
import { probe } from './probe.ts'

await main(probe)
