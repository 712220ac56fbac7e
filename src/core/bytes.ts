/** Byte counts in words. */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `16 MiB`, `1.2 GiB`: three digits at most, as people read sizes. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${units[unit]}`
}
