import { SeawallError } from '../../src/core/errors.ts'

/** The SeawallError that a call ends with. */
export function failureOf(call: () => unknown): SeawallError {
  try {
    call()
  } catch (error) {
    if (error instanceof SeawallError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** The SeawallError that a promise is rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<SeawallError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof SeawallError) return error
    throw error
  }
  throw new Error('it did not fail')
}
