/** The archived segments of one timeline, 24 bytes each, so that a million of them fit into memory. */
export class SegmentTable {
  readonly timeline: number
  #length = 0
  #numbers = new Float64Array(64)
  #sizes = new Float64Array(64)
  #times = new Float64Array(64)

  constructor(timeline: number) {
    this.timeline = timeline
  }

  get length(): number {
    return this.#length
  }

  /**
   * Adds a segment, in ascending order of numbers.
   * @param number since the beginning of WAL; below 2^44 for every segment size.
   * @param size of the object, in bytes.
   * @param time when it was archived, in milliseconds since 1970.
   */
  add(number: number, size: number, time: number): void {
    if (this.#length > 0 && number <= this.number(this.#length - 1)) {
      throw new RangeError(`segment ${number} of timeline ${this.timeline} is listed out of order`)
    }
    if (this.#length === this.#numbers.length) {
      this.#numbers = enlarged(this.#numbers)
      this.#sizes = enlarged(this.#sizes)
      this.#times = enlarged(this.#times)
    }
    this.#numbers[this.#length] = number
    this.#sizes[this.#length] = size
    this.#times[this.#length] = time
    this.#length += 1
  }

  number(index: number): number {
    return this.#numbers[index]!
  }

  /** Bytes of the object. */
  size(index: number): number {
    return this.#sizes[index]!
  }

  /** When the segment was archived, in milliseconds since 1970. */
  time(index: number): number {
    return this.#times[index]!
  }

  /** When the last one was archived, in milliseconds since 1970; -Infinity if there is none. */
  newestTime(): number {
    let newest = Number.NEGATIVE_INFINITY
    for (let index = 0; index < this.#length; index++) newest = Math.max(newest, this.time(index))
    return newest
  }

  /** The first number of a range (inclusive) that is not archived; undefined if all are. */
  firstMissing(first: number, last: number): number | undefined {
    let index = this.#lowerBound(first)
    for (let number = first; number <= last; number++, index++) {
      if (index >= this.#length || this.number(index) !== number) return number
    }
    return undefined
  }

  /** Index of the first segment whose number is not lower. */
  #lowerBound(number: number): number {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.number(middle) < number) low = middle + 1
      else high = middle
    }
    return low
  }
}

function enlarged(values: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(values.length * 2)
  larger.set(values)
  return larger
}
