// A value that others hear about.

/** Holds a value and tells its listeners when another one is set. */
export class Signal<T> {
  #value: T;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (value === this.#value) return;
    this.#value = value;
    for (const listener of this.#listeners) listener(value);
  }

  /** Calls the listener now and at every change. */
  watch(listener: (value: T) => void): void {
    this.#listeners.add(listener);
    listener(this.#value);
  }
}
