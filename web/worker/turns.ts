// One at a time: work on a model that must not overlap.

/** Runs what it is given one after the other, in the order of asking. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => T | Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    // A failure is its asker's alone.
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}
