/** What several parts of the desk are made of. */
import { html } from 'hono/html'
import type { Html } from '../layout.ts'
import type { DeskView } from './desk.ts'

/** A button that works without a script: a form of its own. */
export function press(
  action: string,
  fields: Record<string, string>,
  word: string,
  more: { id: string; more?: string; primary?: boolean },
): Html {
  return html`<form method="post" action="${action}">
    ${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
    <button id="${more.id}"${more.primary ? html` class="primary"` : ''}>${word}${more.more ? html`<span class="unseen">${more.more}</span>` : ''}</button>
  </form>`
}

export function time(view: DeskView, at: number, withSeconds = true): string {
  return new Intl.DateTimeFormat('en-GB', {
    timeZone: view.phones.timeZone,
    hour: '2-digit',
    minute: '2-digit',
    ...(withSeconds && { second: '2-digit' }),
    // Another day than today's must say so.
    ...(Math.abs(at - view.now) > 12 * 3_600_000 && { day: 'numeric', month: 'short' }),
  }).format(at)
}
