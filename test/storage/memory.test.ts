import { memoryStorage } from '../../src/storage/memory.ts'
import { storageContract } from '../contract/storage.ts'

storageContract('memory', async () => memoryStorage())
