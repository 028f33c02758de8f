import assert from "node:assert/strict";
import { test } from "node:test";

import { BlockReader, isFenceClosed } from "../../static/nexus/markdown/blocks.js";
import { lex, toHtml } from "../../static/nexus/markdown/grammar.js";

const TEXT = `# Title

A paragraph with **bold**, a [link](https://example.org/a_b) and \`code\`.

- one
- two

  still two
- three

| a | b |
|---|--:|
| 1 | 2 |

\`\`\`python
def f():

    return 1
\`\`\`

$$x^2$$

See [the end][e] and $a+b$.

[e]: https://example.org/end
`;

const htmlOf = (blocks) => blocks.map((block) => toHtml(block.tokens)).join("");

/** Reads the text as it grows, keeping blocks as an element would. */
function grow(text, cuts) {
  const reader = new BlockReader();
  const shown = [];
  let redrawn = 0;
  for (const cut of [...cuts, text.length]) {
    const { from, blocks } = reader.read(text.slice(0, cut), false);
    shown.splice(from, Infinity, ...blocks);
    redrawn += blocks.length;
  }
  return { reader, shown, redrawn };
}

test("it gives at the end what reading the whole text gives, wherever it was cut", () => {
  const whole = toHtml(lex(TEXT));
  for (let size = 1; size < 40; size += 3) {
    const cuts = Array.from({ length: Math.floor(TEXT.length / size) }, (_, n) => n * size);
    const { reader } = grow(TEXT, cuts);
    const { from, blocks } = reader.read(TEXT, true);
    assert.equal(from, 0);
    assert.equal(htmlOf(blocks), whole, `pieces of ${size}`);
  }
});

test("it draws settled blocks once", () => {
  const text = "A short paragraph.\n\n".repeat(200);
  const { redrawn } = grow(text, Array.from({ length: text.length / 5 }, (_, n) => n * 5));
  assert.ok(redrawn < 1400, `${redrawn} blocks were drawn for 200 paragraphs`);
});

test("it closes what is still open in the last block", () => {
  const { shown } = grow("Some **bold te", []);
  assert.equal(htmlOf(shown).trim(), "<p>Some <strong>bold te</strong></p>");
});

test("it does not settle a list before it has ended", () => {
  const { shown } = grow("- one\n\n- two\n\n", [6, 8]);
  assert.equal(shown.length, 1);
  assert.match(htmlOf(shown), /one[\s\S]*two/);
});

test("it leaves an open fence open, and knows when it is closed", () => {
  const { shown } = grow("```js\nconst a = '**", []);
  assert.match(htmlOf(shown), /const a = &#39;\*\*/);
  assert.equal(isFenceClosed("```js\nconst a = 1;\n"), false);
  assert.equal(isFenceClosed("```js\nconst a = 1;\n```"), true);
  assert.equal(isFenceClosed("````md\n```\n"), false);
  assert.equal(isFenceClosed("a paragraph"), true);
});

test("it begins anew when the text was withdrawn", () => {
  const reader = new BlockReader();
  reader.read("First.\n\nSecond.\n\nThird.", false);
  const { from, blocks } = reader.read("First.\n\nOther.", false);
  assert.equal(from, 0);
  assert.equal(htmlOf(blocks), "<p>First.</p>\n<p>Other.</p>\n");
});

test("it reads formulas, and leaves money alone", () => {
  assert.match(toHtml(lex("The area is $\\pi r^2$.")), /<nexus-math>\\pi r\^2<\/nexus-math>/);
  assert.match(toHtml(lex("$$\\int_0^1 x\\,dx$$")), /data-display="block"/);
  assert.doesNotMatch(toHtml(lex("It costs $5 and then $6 more.")), /nexus-math/);
});

test("it never loads an image by itself", () => {
  const html = toHtml(lex("![chart](https://evil.example/x.png?q=secret)"));
  assert.doesNotMatch(html, /<img/);
  assert.match(html, /<nexus-image data-src="https:\/\/evil\.example\/x\.png\?q=secret"/);
});
