/** Where the focus goes when a form closes: to the button that opened it, as soon as the card is there, or else to the panel. */
const TRIES = 40;
const EVERY_MS = 25;

export function focusCard(tries = TRIES): void {
  setTimeout(() => {
    const button = document.querySelector<HTMLElement>("[data-edit]");
    const moved = document.activeElement !== document.body && document.activeElement !== null && tries < TRIES;
    if (moved) return;
    if (button) button.focus();
    else if (tries > 0) focusCard(tries - 1);
    else document.querySelector<HTMLElement>(".panel")?.focus();
  }, EVERY_MS);
}
