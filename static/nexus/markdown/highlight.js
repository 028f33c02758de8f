/** Code in colours: highlight.js with the languages people ask about, loaded when the first code block appears. */
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import kotlin from "highlight.js/lib/languages/kotlin";
import markdown from "highlight.js/lib/languages/markdown";
import php from "highlight.js/lib/languages/php";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import swift from "highlight.js/lib/languages/swift";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const languages = { bash, c, cpp, csharp, css, diff, dockerfile, go, ini, java, javascript, json, kotlin, markdown, php, python, ruby, rust, sql, swift, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);

/** Longer code stays plain: colouring it would hold the page up. */
const MOST = 60_000;

/** highlight.js' kinds to the four colours of the look: key, string, number, comment, and the lines of a diff. */
const KINDS = [
  [/hljs-(keyword|built_in|type|title|selector-\w+|name|attr|attribute|property|section|meta|literal)/, "key"],
  [/hljs-(string|regexp|symbol|char|template-tag|link|quote|code)/, "str"],
  [/hljs-(number|variable|params|template-variable)/, "num"],
  [/hljs-(comment|doctag)/, "com"],
  [/hljs-addition/, "add"],
  [/hljs-deletion/, "del"],
];

/**
 * @param {string} code
 * @param {string} language as the fence names it
 * @returns {string|null} HTML of spans with `data-c`, or null if it stays plain
 */
export function colour(code, language) {
  const name = language.toLowerCase();
  if (!name || code.length > MOST || !hljs.getLanguage(name)) return null;
  const html = hljs.highlight(code, { language: name, ignoreIllegals: true }).value;
  return html.replace(/<span class="([^"]*)">/g, (_, classes) => {
    const kind = KINDS.find(([pattern]) => pattern.test(classes))?.[1];
    return kind ? `<span data-c="${kind}">` : "<span>";
  });
}
