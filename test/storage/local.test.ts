import { openLocal } from '../../src/storage/local.ts'
import { storageContract } from '../contract/storage.ts'
import { temporaryDirectories } from './temporary-archive.ts'

const newDirectory = temporaryDirectories()

storageContract('local', () => openLocal(newDirectory()))
