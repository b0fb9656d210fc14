/** The frame of every page: the words that no page may lack, fonts and tokens. No inline script, no inline style. */
import { html } from 'hono/html'

export type Html = ReturnType<typeof html>

export function layout(page: {
  title: string
  name: string
  sheet: string
  script: string
  main: Html
  side?: Html
}): Html {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${page.title}</title>
    <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/assets/tokens.css">
    <link rel="stylesheet" href="/assets/${page.sheet}">
    <script src="/assets/${page.script}" defer></script>
  </head>
  <body>
    <header class="top">
      <p class="name">${page.name}</p>
      ${page.side ?? ''}
      <p class="nomoney">No real money</p>
    </header>
    <main>${page.main}</main>
  </body>
</html>`
}
