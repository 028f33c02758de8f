// Builds static/dist/icons.svg: one sprite with the Lucide icons named in static/nexus/icons.json.
import { mkdir, readFile, writeFile } from "node:fs/promises";

const root = new URL("../", import.meta.url);

/** Writes the sprite; fails with the name of an icon that Lucide does not have. */
export async function buildIcons() {
  const names = JSON.parse(await readFile(new URL("static/nexus/icons.json", root), "utf8"));
  const symbols = [];
  for (const name of [...new Set(names)]) {
    const file = new URL(`node_modules/lucide-static/icons/${name}.svg`, root);
    const svg = await readFile(file, "utf8").catch(() => {
      throw new Error(`static/nexus/icons.json names "${name}", which lucide-static does not have`);
    });
    const inner = svg.replace(/^[\s\S]*?<svg[^>]*>/, "").replace(/<\/svg>\s*$/, "").replace(/\s+/g, " ").trim();
    symbols.push(`<symbol id="${name}" viewBox="0 0 24 24">${inner}</symbol>`);
  }
  await mkdir(new URL("static/dist/", root), { recursive: true });
  const sprite = `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`;
  await writeFile(new URL("static/dist/icons.svg", root), sprite);
}

if (import.meta.url === `file://${process.argv[1]}`) await buildIcons();
