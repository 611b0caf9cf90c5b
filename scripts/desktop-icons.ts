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

/** Draws the icon that a window carries with it, for desktops that show it there without looking into the desktop file. */
export async function drawWindowIcon(file: string): Promise<void> {
  await writeFile(file, new Resvg(await readFile(source), { fitTo: { mode: 'width', value: 128 } }).render().asPng());
}

/** Digits and a plus in dots, three wide and five high: at the size of a tray a font would be a smudge. */
const DIGITS: Record<string, string> = {
  '0': '111101101101111',
  '1': '010110010010111',
  '2': '111001111100111',
  '3': '111001111001111',
  '4': '101101111001001',
  '5': '111100111001111',
  '6': '111100111101111',
  '7': '111001010010010',
  '8': '111101111101111',
  '9': '111101111001111',
  '+': '000010111010000',
};

/** Draws the icon of the tray for each number of requests that wait: `0.png` to `9.png`, and `more.png`. */
export async function drawTrayIcons(folder: string): Promise<void> {
  const svg = await readFile(source, 'utf8');
  await mkdir(folder, { recursive: true });
  for (const text of ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '9+']) {
    const drawn = text === '0' ? svg : svg.replace('</svg>', `${badge(text)}</svg>`);
    const png = new Resvg(drawn, { fitTo: { mode: 'width', value: 44 } }).render().asPng();
    await writeFile(join(folder, `${text === '9+' ? 'more' : text}.png`), png);
  }
}

/** A red plate in the lower right corner with the number on it. */
function badge(text: string): string {
  const dot = text.length > 1 ? 2.3 : 2.9;
  const width = (text.length * 4 - 1) * dot;
  const plate = { width: Math.max(20, width + 4), height: 20 };
  const [left, top] = [32 - plate.width, 32 - plate.height];
  const dots = [...text].flatMap((char, i) =>
    [...DIGITS[char]!].flatMap((on, at) => {
      if (on === '0') return [];
      const x = left + (plate.width - width) / 2 + (i * 4 + (at % 3)) * dot;
      const y = top + (plate.height - 5 * dot) / 2 + Math.floor(at / 3) * dot;
      return [`<rect x="${x}" y="${y}" width="${dot + 0.05}" height="${dot + 0.05}"/>`];
    }),
  );
  return [
    `<rect x="${left - 1.5}" y="${top - 1.5}" width="${plate.width + 3}" height="${plate.height + 3}" rx="7" fill="#fff"/>`,
    `<rect x="${left}" y="${top}" width="${plate.width}" height="${plate.height}" rx="6" fill="#e03131"/>`,
    `<g fill="#fff" shape-rendering="crispEdges">${dots.join('')}</g>`,
  ].join('');
}
