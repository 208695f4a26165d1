// Drawing with a finger, a pen or a mouse.

export interface Pen {
  readonly color: string;
  /** Of the canvas's pixels. */
  readonly size: number;
}

/** Lines on a canvas. Keys cannot draw: offer a file as well. */
export class Sketch {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #pen: () => Pen;
  /** Where the line under way has come to. */
  #at: readonly [x: number, y: number] | null = null;

  constructor(canvas: HTMLCanvasElement, pen: () => Pen, onStroke: () => void) {
    this.canvas = canvas;
    this.#context = canvas.getContext("2d")!;
    this.#pen = pen;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.#at = this.#place(event);
      this.#lineTo(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.#at) return;
      const steps = event.getCoalescedEvents();
      for (const step of steps.length > 0 ? steps : [event]) this.#lineTo(step);
    });
    const end = (): void => {
      if (!this.#at) return;
      this.#at = null;
      onStroke();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
  }

  clear(paper: string): void {
    this.#context.fillStyle = paper;
    this.#context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  #lineTo(event: PointerEvent): void {
    const { color, size } = this.#pen();
    const to = this.#place(event);
    const context = this.#context;
    context.strokeStyle = color;
    context.lineWidth = size;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...(this.#at ?? to));
    context.lineTo(...to);
    context.stroke();
    this.#at = to;
  }

  #place({ clientX, clientY }: PointerEvent): [x: number, y: number] {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [((clientX - left) / width) * this.canvas.width, ((clientY - top) / height) * this.canvas.height];
  }
}
