/** Runs round every test file: what it made is removed at its end, and what it left running fails it. */
import { afterAll } from 'vitest'
import { cleanUp } from './temporary.ts'

afterAll(cleanUp, 120_000)
