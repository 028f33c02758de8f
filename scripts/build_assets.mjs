// Builds what the pages load into static/dist: app.js with its chunks and admin.css (esbuild), app.css (Tailwind), the icons.
// `node scripts/build_assets.mjs --watch` stays and builds again at every change, without minifying.
import { spawn } from "node:child_process";
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import * as esbuild from "esbuild";

import { buildIcons } from "./icons.mjs";

const root = fileURLToPath(new URL("../", import.meta.url));
const watch = process.argv.includes("--watch");

const scripts = {
  absWorkingDir: root,
  entryPoints: { app: "static/nexus/app.js", account: "static/nexus/account.js", admin: "static/nexus/css/admin.css" },
  outdir: "static/dist",
  entryNames: "[name]",
  chunkNames: "chunks/[name]-[hash]",
  assetNames: "files/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022", "safari16"],
  minify: !watch,
  sourcemap: true,
  metafile: true,
  legalComments: "linked",
  logLevel: "warning",
  loader: { ".svg": "text" },
};

/** Runs Tailwind's command on the style sheet; resolves when it ends well. */
function styles() {
  const command = fileURLToPath(new URL("node_modules/@tailwindcss/cli/dist/index.mjs", `file://${root}`));
  const flags = watch ? ["--watch=always"] : ["--minify"];
  const child = spawn(process.execPath, [command, "-i", "static/nexus/app.css", "-o", "static/dist/app.css", ...flags], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (piece) => {
    said += piece;
    if (watch) process.stderr.write(piece);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`Tailwind ended with ${code}:\n${said}`))));
  });
}

/** Removes the chunks of earlier builds. After the build, so that an open page finds its old ones as long as possible. */
async function sweep(outputs) {
  const kept = new Set(Object.keys(outputs).map((path) => path.replace(/^static\/dist\//, "")));
  for (const folder of ["chunks", "files"]) {
    const names = await readdir(`${root}static/dist/${folder}`).catch(() => []);
    await Promise.all(
      names.filter((name) => !kept.has(`${folder}/${name}`)).map((name) => rm(`${root}static/dist/${folder}/${name}`)),
    );
  }
}

/** `app.js 182 KB` for each file a page may load. */
function report(outputs) {
  for (const [path, output] of Object.entries(outputs)) {
    if (path.endsWith(".js") && output.bytes > 20_000) {
      console.log(`    ${path.replace(/^static\/dist\//, "")} ${Math.round(output.bytes / 1024)} KB`);
    }
  }
}

await mkdir(`${root}static/dist`, { recursive: true });
await buildIcons();
await copyFile(`${root}static/nexus/icon.svg`, `${root}static/dist/icon.svg`);
if (watch) {
  const context = await esbuild.context(scripts);
  await context.watch();
  console.log("Watching static/nexus; Ctrl-C ends it.");
  await styles();
} else {
  try {
    const [built] = await Promise.all([esbuild.build(scripts), styles()]);
    await sweep(built.metafile.outputs);
    report(built.metafile.outputs);
  } catch (fault) {
    if (!fault.errors) console.error(fault.message); // esbuild has said its own already
    process.exitCode = 1;
  }
}
