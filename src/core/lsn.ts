/** WAL positions (LSNs): 64-bit byte addresses, as bigint. */

export type Lsn = bigint

const pattern = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

/** Parses PostgreSQL's text form, `16/B374D848`; undefined for anything else. */
export function parseLsn(text: string): Lsn | undefined {
  const match = pattern.exec(text)
  if (!match) return undefined
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

/** PostgreSQL's text form, `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`
}
