import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Resvg } from '@resvg/resvg-js';

const root = join(import.meta.dirname, '..');
const source = join(root, 'apps/console/src/icon.svg');

/** Edge lengths in pixels: those of the hicolor theme, and 1024 for macOS. */
export const ICON_SIZES = [16, 22, 24, 32, 48, 64, 128, 256, 512, 1024] as const;

/** Draws the product's one icon in every size, as `<n>x<n>.png`, with the drawing itself as `icon.svg` beside them. */
export async function drawIcons(folder: string): Promise<void> {
  const svg = await readFile(source);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const size of ICON_SIZES) {
    const png = new Resvg(svg, { fitTo: { mode: 'width', value: size } }).render().asPng();
    await writeFile(join(folder, `${size}x${size}.png`), png);
  }
  await cp(source, join(folder, 'icon.svg'));
}
