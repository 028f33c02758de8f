/** The title of the tab: what the page shows, and before it how many conversations have something new. */

let base = document.title;
let count = 0;

/** @param {string} title without the number */
export function setTitle(title) {
  base = title;
  draw();
}

/** @param {number} news conversations with something unread */
export function setNews(news) {
  count = news;
  draw();
}

function draw() {
  const title = count ? `(${count > 99 ? "99+" : count}) ${base}` : base;
  if (document.title !== title) document.title = title;
}
