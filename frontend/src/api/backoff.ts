/**
 * Full jitter: a uniformly random wait below an exponentially growing bound,
 * so that a restarted server is not met by all browsers at once. The first
 * wait is never longer than `first`, none is longer than `most`, and none is
 * so short that it would spin.
 */
export class Backoff {
  constructor(
    private readonly first: number,
    private readonly most: number,
    private readonly random: () => number,
  ) {}

  /** Milliseconds before attempt n (1 is the first retry). */
  delay(attempt: number): number {
    const bound = Math.min(this.most, this.first * 2 ** Math.min(20, attempt - 1))
    return Math.max(100, Math.round(bound * this.random()))
  }
}
