// Images of one's own in the page: from a folder, a ZIP, CIFAR's files and the camera; and what augmentation makes of them.
import { join } from "node:path";
import { zipSync } from "fflate";
import type { Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { skipsWithoutChromium } from "../support/chromium.ts";
import { uniforms } from "../support/random.ts";
import { cifarBytes, cifarPixel, png, put, temporaryFolder, type Pixel } from "../training/data/fixtures.ts";
import { button, field, openSite, says, visit, type Site, type Visit } from "./visit.ts";

const folder = temporaryFolder();
const CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
/** Images that the page opens with. */
const SHAPES = "limit=100&limit-test=20";
const SIDE = 32;

const next = uniforms(11);
const noise = (least: number): number => least + Math.floor(next() * 90);
/** Noise that tells the classes of the tests apart: red above the rest, or blue. */
const NOISES: Readonly<Record<string, Pixel>> = {
  red: () => [noise(160), noise(10), noise(10)],
  blue: () => [noise(10), noise(10), noise(160)],
};
/** PNG files by their paths below `at`, so many of each class. */
const pictures = (at: string, counts: Readonly<Record<string, number>>): Record<string, Uint8Array> =>
  Object.fromEntries(
    Object.entries(counts).flatMap(([name, count]) =>
      Array.from({ length: count }, (_, i) => [`${at}/${name}/${i}.png`, png(SIDE, SIDE, NOISES[name])] as const),
    ),
  );

/** Bytes of RGB, each pixel's three together. */
const rgb = (canvas: Locator): Promise<number[]> =>
  canvas.evaluate((node) => {
    const { width, height } = node as HTMLCanvasElement;
    // From a copy: Chromium warns where a canvas is read again and again.
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
    copy.drawImage(node as HTMLCanvasElement, 0, 0);
    return Array.from(copy.getImageData(0, 0, width, height).data).filter((_, i) => i % 4 !== 3);
  });
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe.skipIf(skipsWithoutChromium("no images were opened in the page"))("the page's images", () => {
  let site: Site;
  let here: Visit;
  const at = (selector: string): Locator => here.page.locator(selector);
  const problem = (): Locator => here.page.getByRole("alert");
  const summary = (): Promise<string> => at("#data-summary").innerText();
  const list = (): Locator => here.page.getByRole("listbox", { name: "Samples" });
  const samples = (): Locator => list().getByRole("option");
  const chosen = (): Locator => list().getByRole("option", { selected: true });
  const views = (): Locator => here.page.getByRole("group", { name: "The chosen sample, augmented" }).locator("canvas");
  const counts = async (): Promise<string[]> =>
    (
      await here.page.getByRole("list", { name: "Training images of each class" }).getByRole("listitem").allInnerTexts()
    ).map((text) => text.replace(/\s+/g, " "));

  /** Opens the page, with its built-in images. */
  async function arrive(query = "", flags: readonly string[] = []): Promise<void> {
    const context = await site.newcomer({ flags });
    if (flags === CAMERA) await context.grantPermissions(["camera"], { origin: new URL(site.url).origin });
    here = await visit(context, `${site.url}?${SHAPES}&${query}`);
    await says(here, "Press Train");
  }

  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(() => site?.[Symbol.asyncDispose]());
  afterEach(async () => {
    const { complaints, page } = here;
    const lines = await page.getByRole("status").count();
    await site.closeBrowsers();
    expect(complaints).toEqual([]);
    expect(lines).toBe(1);
  });

  /** Every sample lies under its own class. */
  async function expectSamplesOfTheirClass(): Promise<void> {
    for (const sample of await samples().all()) {
      const values = await rgb(sample.locator("canvas"));
      const [red, , blue] = [0, 1, 2].map((channel) => mean(values.filter((_, i) => i % 3 === channel)));
      expect(await sample.innerText()).toBe(red > blue ? "red" : "blue");
    }
  }

  it("come from a folder with folders around it; what is no image is named", async () => {
    for (const [path, bytes] of Object.entries(pictures("pets/more", { red: 10, blue: 5 })))
      put(join(folder, path), bytes);
    const whole = png(SIDE, SIDE, NOISES.red);
    put(join(folder, "pets/more/red/cut.png"), whole.subarray(0, whole.length / 3));
    put(join(folder, "pets/more/read me.txt"), "Not an image.");
    await arrive("augment=none");
    expect(await at("#data-name").innerText()).toBe("shapes");
    await here.page.getByLabel("Folder of images").setInputFiles(join(folder, "pets"));
    await says(here, "15 images in 2 classes are loaded. Press Train.");
    expect(await at("#data-name").innerText()).toBe("pets");
    expect(await summary()).toMatch(/^\d+ images for training and \d+ for testing, 32 x 32 pixels, 2 classes\.$/);
    const [blue, red] = await counts();
    // Four fifths of each; whether the broken one was among them is drawn.
    expect(blue).toBe("blue 4");
    expect(["red 8", "red 9"]).toContain(red);
    const warnings = await at("#data-warnings li").allInnerTexts();
    expect(warnings).toHaveLength(3);
    expect(warnings).toContain("Left out, no image: pets/more/read me.txt");
    expect(warnings.join("\n")).toMatch(/Skipped 1 of \d+ images that cannot be decoded: .*red\/cut\.png/);
    expect(warnings.join("\n")).toContain("of each class 80 % train, and 20 % test");
    await expect.poll(() => samples().allInnerTexts()).toEqual(["blue", "red", "blue", "red", "blue", "red"]);
    await expectSamplesOfTheirClass();
  });

  it("come from a ZIP, again at another size, are trained on, and are there after a reload", async () => {
    const zip = join(folder, "shots.zip");
    const files = {
      ...pictures("shots/Training", { red: 4, blue: 4 }),
      ...pictures("shots/Testing", { red: 2, blue: 1 }),
    };
    put(zip, zipSync(files));
    await arrive("model=resnet8&epochs=1&batch-size=4&lr=0.01");
    await here.page.getByLabel("ZIP or CIFAR files").setInputFiles(zip);
    await says(here, "11 images in 2 classes");
    expect(await summary()).toBe("8 images for training and 3 for testing, 32 x 32 pixels, 2 classes.");
    await here.page.getByLabel("Image size in pixels").fill("16");
    await button(here, "Load again").click();
    const smaller = "8 images for training and 3 for testing, 16 x 16 pixels, 2 classes.";
    await at("#data-summary").filter({ hasText: smaller }).waitFor();
    expect(await counts()).toEqual(["blue 4", "red 4"]);
    expect(await at("#data-warnings li").count()).toBe(0);
    await samples().first().locator("canvas[width='16']").waitFor();
    await expectSamplesOfTheirClass();

    await button(here, "Train").click();
    await here.page.getByText("The images cannot be changed while a model is being trained").waitFor();
    for (const name of ["Built-in shapes", "Choose a folder…", "Use the camera", "Load again"]) {
      expect(await button(here, name).isDisabled(), name).toBe(true);
    }
    expect(await here.page.getByLabel("Image size in pixels").isDisabled()).toBe(true);
    await says(here, "Training is done");
    expect(await button(here, "Load again").isEnabled()).toBe(true);
    expect(await at("#data-locked").isVisible()).toBe(false);
    const row = await at("#epochs tbody tr").allInnerTexts();
    expect(row).toHaveLength(1);
    const before = await rgb(samples().first().locator("canvas"));

    await here.page.reload();
    await says(here, "The run of your last visit is here");
    expect(await at("#epochs tbody tr").allInnerTexts()).toEqual(row);
    expect(await at("#data-name").innerText()).toBe("shots");
    expect(await summary()).toBe(smaller);
    expect(await counts()).toEqual(["blue 4", "red 4"]);
    expect(await rgb(samples().first().locator("canvas"))).toEqual(before);
    expect(await button(here, "Explain").isEnabled()).toBe(true);
    // Their files are not with this page.
    expect(await button(here, "Load again").isDisabled()).toBe(true);
  });

  it("stay where a ZIP is cut", async () => {
    await arrive();
    const before = { name: await at("#data-name").innerText(), summary: await summary(), counts: await counts() };
    const zip = zipSync(pictures("photos", { red: 3, blue: 3 }));
    const drop = (archive: Uint8Array): Promise<void> =>
      at("#drop").evaluate((zone, bytes) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([Uint8Array.from(bytes)], "photos.zip"));
        zone.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
      }, Array.from(archive));
    await drop(zip.subarray(0, zip.length * 0.7));
    await problem().filter({ hasText: "photos.zip cannot be unpacked" }).waitFor();
    const message = await problem().locator("p").innerText();
    expect(message).toContain("it is damaged");
    expect(message).not.toContain("\n");
    expect({ name: await at("#data-name").innerText(), summary: await summary(), counts: await counts() }).toEqual(
      before,
    );
    expect(await samples().count()).toBe(30);
    expect(await button(here, "Train").isEnabled()).toBe(true);

    await drop(zip);
    await says(here, "6 images in 2 classes");
    expect(await problem().isVisible()).toBe(false);
    await samples()
      .first()
      .filter({ hasText: /red|blue/ })
      .waitFor();
    await expectSamplesOfTheirClass();
  });

  it("come from CIFAR's binary files", async () => {
    const names = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);
    const labels = [...names, "test_batch.bin"].map(() => Array.from({ length: 20 }, () => Math.floor(next() * 10)));
    [...names, "test_batch.bin"].forEach((name, i) => {
      put(join(folder, "cifar-10-batches-bin", name), cifarBytes(labels[i].map((label) => [label])));
    });
    await arrive();
    await here.page.getByLabel("Folder of images").setInputFiles(join(folder, "cifar-10-batches-bin"));
    await says(here, "120 images in 10 classes");
    expect(await at("#data-name").innerText()).toBe("cifar10");
    expect(await summary()).toBe("100 images for training and 20 for testing, 32 x 32 pixels, 10 classes.");
    const classes = "airplane automobile bird cat deer dog frog horse ship truck".split(" ");
    const train = labels.slice(0, 5).flat();
    const count = (label: number): number => train.filter((one) => one === label).length;
    expect(await counts()).toEqual(classes.map((name, label) => `${name} ${count(label)}`));
    await samples()
      .first()
      .filter({ hasText: new RegExp(classes.join("|")) })
      .waitFor();
    for (const sample of (await samples().all()).slice(0, 12)) {
      const index = Number(await sample.getAttribute("data-index"));
      expect(await sample.innerText()).toBe(classes[train[index]]);
      const want = Array.from({ length: SIDE * SIDE * 3 }, (_, i) => cifarPixel(index % 20, i % 3, Math.floor(i / 3)));
      expect(await rgb(sample.locator("canvas"))).toEqual(want);
    }
  });

  it("come from the camera, class by class, with the mouse and with the keyboard", async () => {
    await arrive("", CAMERA);
    await button(here, "Use the camera").click();
    await says(here, "The camera is on");
    const name = here.page.getByLabel("New class");
    const use = button(here, "Use these images");
    const row = (of: string): Locator => at("#camera-classes li").filter({ hasText: of });
    const taken = async (of: string): Promise<number> => parseInt(await row(of).locator(".count").innerText());
    // Pictures become files when the browser finds the time; these are all that were asked for.
    await here.page.evaluate(() => {
      const page = globalThis as unknown as { asked: number };
      const { prototype } = HTMLCanvasElement;
      const toBlob = Object.getOwnPropertyDescriptor(prototype, "toBlob")!.value as HTMLCanvasElement["toBlob"];
      page.asked = 0;
      prototype.toBlob = function (...args) {
        page.asked++;
        toBlob.apply(this, args);
      };
    });
    const asked = (): Promise<number> => here.page.evaluate(() => (globalThis as unknown as { asked: number }).asked);
    const all = async (): Promise<number> =>
      (await at("#camera-classes .count").allInnerTexts()).reduce((sum, text) => sum + parseInt(text), 0);
    /** Waits for so many, lets go, and tells how many there are. */
    const collect = async (of: string, least: number, release: () => Promise<void>): Promise<number> => {
      await expect.poll(() => taken(of), { timeout: 20_000 }).toBeGreaterThanOrEqual(least);
      await release();
      expect(await at("button.held").count()).toBe(0);
      const count = await asked();
      await here.page.waitForTimeout(500);
      expect(await asked(), "after letting go").toBe(count);
      await expect.poll(all).toBe(count);
      return taken(of);
    };

    await name.fill("near");
    await name.press("Enter");
    await button(here, "Hold to collect near").hover();
    await here.page.mouse.down();
    const near = await collect("near", 3, () => here.page.mouse.up());
    await name.fill("NEAR");
    await name.press("Enter");
    expect(await at("#camera-classes li").count(), "a class has one row").toBe(1);
    await name.fill("far");
    await button(here, "Add class").click();
    expect(await use.isDisabled()).toBe(true);
    // Its button has the focus.
    await here.page.keyboard.down("Space");
    const far = await collect("far", 2, () => here.page.keyboard.up("Space"));
    expect(await taken("near")).toBe(near);
    expect(await row("far").locator(".thumbnails canvas").count()).toBe(Math.min(far, 8));

    await use.click();
    await says(here, `${near + far} images in 2 classes`);
    expect(await at("#data-name").innerText()).toBe("camera");
    const trained = (await counts()).map((text) => text.split(" "));
    expect(trained.map(([label]) => label)).toEqual(["far", "near"]);
    const [train, test] = /^(\d+) images for training and (\d+)/
      .exec(await summary())!
      .slice(1)
      .map(Number);
    expect(train + test).toBe(near + far);
    expect(trained.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(train);
    // What the camera saw, and no black frame: the browser's own test picture is green.
    const values = await rgb(samples().first().locator("canvas"));
    expect(mean(values.filter((_, i) => i % 3 === 1))).toBeGreaterThan(80);
    await button(here, "Close the camera").click();
    expect(await at("#camera-video").isVisible()).toBe(false);
  });

  it("are not taken by a camera that is granted when training has begun", async () => {
    await arrive("model=resnet8&epochs=50&batch-size=20", CAMERA);
    await here.page.evaluate(() => {
      const devices = navigator.mediaDevices;
      const ask = devices.getUserMedia.bind(devices);
      const page = globalThis as unknown as { grant(): void; stream: MediaStream };
      const granted = new Promise<void>((done) => (page.grant = done));
      devices.getUserMedia = (wanted) => granted.then(async () => (page.stream = await ask(wanted)));
    });
    await button(here, "Use the camera").click();
    await says(here, "Opening the camera");
    await button(here, "Train").click();
    await says(here, /Compiling|Training:/);
    await here.page.evaluate(() => (globalThis as unknown as { grant(): void }).grant());
    const states = (): Promise<string[] | undefined> =>
      here.page.evaluate(() => {
        const { stream } = globalThis as unknown as { stream?: MediaStream };
        return stream?.getTracks().map(({ readyState }) => readyState);
      });
    await expect.poll(states).toEqual(["ended"]);
    expect(await at("#camera").isVisible()).toBe(false);
    await button(here, "Stop").click();
    await says(here, "Stopped.");
    await button(here, "Use the camera").click();
    await says(here, "The camera is on");
  });

  it("are augmented as the text and the sliders say, and not at all where the text is wrong", async () => {
    await arrive("augment=pad-crop:2,cutout:8");
    const text = field(here, "Augmentation");
    const shift = here.page.getByRole("slider", { name: "Shift, pixels" });
    const mirror = here.page.getByRole("checkbox", { name: "Mirror left and right" });
    expect(await text.inputValue()).toBe("pad-crop:2,cutout:8");
    expect(await shift.inputValue()).toBe("2");
    expect(await mirror.isChecked()).toBe(false);
    await mirror.check();
    expect(await text.inputValue()).toBe("pad-crop:2,flip,cutout:8");
    await shift.press("ArrowRight");
    expect(await text.inputValue()).toBe("pad-crop:3,flip,cutout:8");
    await text.fill("none");
    expect([await mirror.isChecked(), await shift.inputValue()]).toEqual([false, "0"]);
    // Then all views are the image itself.
    await expect
      .poll(async () => new Set((await Promise.all((await views().all()).map(rgb))).map(String)).size)
      .toBe(1);

    await text.fill("flp");
    expect(await text.getAttribute("aria-invalid")).toBe("true");
    const wrong = 'unknown augmentation "flp"; did you mean "flip"?';
    expect(await at("#augment-problem").innerText()).toContain(wrong);
    await button(here, "Train").click();
    await problem().filter({ hasText: wrong }).waitFor();
    expect(await button(here, "Train").isEnabled()).toBe(true);
    expect(await at("#epochs tbody tr").count()).toBe(0);
    await button(here, "Default").click();
    expect(await text.getAttribute("aria-invalid")).toBe("false");
    expect(await at("#augment-problem").innerText()).toBe("");
    expect(await text.inputValue()).not.toBe("flp");
  });

  it("are chosen with arrow keys, and the chosen one is seen augmented", async () => {
    await arrive("augment=flip");
    /** Waits until the views are those of the chosen sample; the original first, then each epoch's. */
    const look = async (): Promise<number[][]> => {
      const original = String(await rgb(chosen().locator("canvas")));
      await expect.poll(async () => String(await rgb(views().first()))).toBe(original);
      return Promise.all((await views().all()).map(rgb));
    };
    /** A dozen epochs show the image and its mirror image, and nothing else. */
    const expectMirrored = ([original, ...epochs]: readonly number[][]): void => {
      const mirrored = original.map((_, i) => {
        const [pixel, channel] = [Math.floor(i / 3), i % 3];
        return original[3 * (pixel + SIDE - 1 - 2 * (pixel % SIDE)) + channel];
      });
      const names = new Map([
        [String(mirrored), "mirrored"],
        [String(original), "as it is"],
      ]);
      expect(epochs).toHaveLength(12);
      const seen = epochs.map((view) => names.get(String(view)) ?? "another image");
      expect([...new Set(seen)].sort()).toEqual(["as it is", "mirrored"]);
    };
    await views().first().waitFor();
    const first = await look();
    expectMirrored(first);
    const name = await chosen().getAttribute("aria-label");
    await chosen().focus();
    await here.page.keyboard.press("ArrowRight");
    expect(await chosen().count()).toBe(1);
    expect(await chosen().getAttribute("aria-label")).not.toBe(name);
    expect(await chosen().evaluate((node) => node === document.activeElement)).toBe(true);
    const second = await look();
    expectMirrored(second);
    expect(second[0]).not.toEqual(first[0]);
    // At the end of the list nothing is left to choose.
    await here.page.keyboard.press("End");
    const last = await chosen().getAttribute("aria-label");
    await here.page.keyboard.press("ArrowRight");
    expect(await chosen().getAttribute("aria-label")).toBe(last);
    await here.page.keyboard.press("Home");
    expect(await chosen().getAttribute("aria-label")).toBe(name);
    // The same sample looks the same in the same epoch.
    expect(await look()).toEqual(first);
  });
});
