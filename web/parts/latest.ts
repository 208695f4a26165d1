// One piece of work at a time; of what is asked for meanwhile only the last is done.

export class Latest {
  #busy = false;
  #next: (() => Promise<void>) | null = null;

  /** Runs `work` now, or after what is running, unless newer work takes its place. It must not throw. */
  ask(work: () => Promise<void>): void {
    if (this.#busy) {
      this.#next = work;
      return;
    }
    void this.#run(work);
  }

  /** Gives up what waits. */
  forget(): void {
    this.#next = null;
  }

  async #run(first: () => Promise<void>): Promise<void> {
    this.#busy = true;
    for (let work: (() => Promise<void>) | null = first; work;) {
      await work();
      work = this.#next;
      this.#next = null;
    }
    this.#busy = false;
  }
}
