/** Menus made of `<details>`: close on a click elsewhere and on Esc, arrows move, the focus comes back. */

const MENUS = "details.menu-of, details.ws-menu";

export function wireMenus() {
  document.addEventListener("pointerdown", (event) => {
    for (const menu of document.querySelectorAll(`:is(${MENUS})[open]`)) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener(
    "keydown",
    (event) => {
      const menu = document.querySelector(`:is(${MENUS})[open]`);
      if (!menu) return;
      const rows = [...menu.querySelectorAll('[role="menuitem"]')];
      const here = rows.indexOf(document.activeElement);
      if (event.key === "Escape") close(menu);
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") rows.at((here + (event.key === "ArrowDown" ? 1 : here < 0 ? 0 : -1)) % rows.length)?.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  document.addEventListener("click", (event) => {
    const menu = event.target.closest('[role="menuitem"]')?.closest(MENUS);
    if (menu) menu.open = false;
  });
}

function close(menu) {
  menu.open = false;
  menu.querySelector("summary").focus();
}
