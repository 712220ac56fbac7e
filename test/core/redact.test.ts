import { expect, test } from 'vitest'
import { redact } from '../../src/core/redact.ts'

test.each([
  ['postgresql://me:hunter2@host:5432/db', 'postgresql://me:***@host:5432/db'],
  ['postgresql://:hunter2@host/db', 'postgresql://:***@host/db'],
  ['postgresql://me:hunter:2@x@host/db', 'postgresql://me:***@host/db'],
  [
    'could not reach s3://key:hunter2@bucket/x and s3://k2:hunter2@b',
    'could not reach s3://key:***@bucket/x and s3://k2:***@b',
  ],
  ['host=x password=hunter2 port=5', 'host=x password=*** port=5'],
  ["host=x password = 'hunter2 \\' more' port=5", 'host=x password = *** port=5'],
  ['postgresql://host/db?password=hunter2&sslmode=require', 'postgresql://host/db?password=***&sslmode=require'],
  ['PGPASSWORD=hunter2', 'PGPASSWORD=***'],
  ['sslpassword=hunter2', 'sslpassword=***'],
])('%s', (text, expected) => {
  expect(redact(text)).toBe(expected)
})

test.each(['postgresql://me@host:5432/db', 'file:///var/lib/archive', 'host=x dbname=y', 'could not read a:b@c', ''])(
  'without a secret it stays: %s',
  (text) => {
    expect(redact(text)).toBe(text)
  },
)
