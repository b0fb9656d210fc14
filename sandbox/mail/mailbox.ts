/** The mailbox at `/mail`: for programs JSON, for people a list and a page for each mail. */
import { type Context, Hono } from 'hono'
import { html } from 'hono/html'
import { type Html, layout } from '../layout.ts'
import { type Bindings, isForm, pageHeaders, problem, readAsked } from '../web.ts'
import { type Mailbox, type StoredMail, serverModes } from './mail.ts'

const TO_CHARACTERS_MAX = 254

export function mailboxRoutes(world: {
  mailbox: Pick<Mailbox, 'list' | 'find' | 'clear' | 'mode' | 'setMode'>
  publicUrl: () => string
}): Hono<Bindings> {
  const { mailbox } = world
  const routes = new Hono<Bindings>()

  routes.get('/', (c) => {
    const to = c.req.query('to')?.slice(0, TO_CHARACTERS_MAX) || null
    const items = mailbox.list(to)
    c.header('vary', 'accept')
    if (!(c.req.header('accept') ?? '').includes('text/html')) {
      return c.json({ items: items.map((mail) => ({ ...mail, id: String(mail.id) })) })
    }
    pageHeaders(c)
    return c.html(listPage(items, to, world.publicUrl()))
  })

  /** The list alone: an open page asks for it, so that a mail appears without a reload. */
  routes.get('/list', (c) => {
    c.header('cache-control', 'no-store')
    return c.html(list(mailbox.list(c.req.query('to')?.slice(0, TO_CHARACTERS_MAX) || null)))
  })

  routes.get('/server', (c) => c.json({ mode: mailbox.mode() }))

  routes.post('/server', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const mode = serverModes.find((each) => each === asked['mode'])
    if (!mode) return problem(c, 400, 'invalid_request', `mode is one of ${serverModes.join(', ')}.`, 'mode')
    mailbox.setMode(mode)
    return isForm(c) ? c.redirect('/#mail', 303) : c.json({ mode })
  })

  const clear = (c: Context<Bindings>) => {
    const cleared = mailbox.clear()
    return isForm(c) ? c.redirect('/mail', 303) : c.json({ cleared })
  }
  routes.delete('/', clear)
  routes.post('/clear', clear)

  routes.get('/:id{[0-9]{1,15}}', (c) => {
    const mail = mailbox.find(Number(c.req.param('id')))
    if (!mail) return gone(c)
    pageHeaders(c, { frames: true })
    return c.html(mailPage(mail, world.publicUrl()))
  })

  /**
   * The HTML of a mail, for the frame on its page. Whoever wrote it has no hand here: no script, nothing from outside, no way to the
   * page around it; its links open in a tab of their own.
   */
  routes.get('/:id{[0-9]{1,15}}/html', (c) => {
    const mail = mailbox.find(Number(c.req.param('id')))
    if (!mail) return gone(c)
    c.header(
      'content-security-policy',
      "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    )
    c.header('referrer-policy', 'no-referrer')
    c.header('x-content-type-options', 'nosniff')
    c.header('cache-control', 'no-store')
    const base = '<base target="_blank">'
    return c.html(/<head>/i.test(mail.html) ? mail.html.replace(/<head>/i, (head) => head + base) : base + mail.html)
  })

  return routes
}

function gone(c: Context<Bindings>): Response {
  return problem(c, 404, 'not_found', 'This mail is not in the mailbox (any more). The list is at /mail.')
}

function page(title: string, publicUrl: string, main: Html): Html {
  return layout({
    title: `${title} · MobileSMS sandbox`,
    name: 'Mailbox',
    sheet: 'desk.css',
    script: 'mailbox.js',
    side: html`<p class="to-product"><a href="${publicUrl}">MobileSMS</a> · <a href="/">Desk</a></p>`,
    main: html`<div class="reading">${main}</div>`,
  })
}

function listPage(mails: StoredMail[], to: string | null, publicUrl: string): Html {
  return page(
    'Mailbox',
    publicUrl,
    html`<h1>Everybody’s mail</h1>
      <p class="lead">${to === null ? 'Every mail that MobileSMS sends arrives here and nowhere else.' : html`Mail to ${to}. <a href="/mail">All mail</a>`}</p>
      <p class="said" role="status" id="said"></p>
      <div id="mails" data-to="${to ?? ''}">${list(mails)}</div>
      ${mails.length === 0 ? '' : html`<form method="post" action="/mail/clear"><button>Empty the mailbox</button></form>`}`,
  )
}

function list(mails: StoredMail[]): Html {
  if (mails.length === 0) {
    return html`<p class="empty">A mail will stand here as soon as one is sent, for example the receipt of a top-up.</p>`
  }
  return html`<ul class="lines mails">
    ${mails.map(
      (mail) => html`<li>
        <p class="edge"><a href="/mail/${mail.id}">${mail.subject || 'Without a subject'}</a>
          <time class="at" datetime="${mail.received_at}">${clockTime(mail)}</time></p>
        <p class="quiet">To ${mail.to}</p>
      </li>`,
    )}
  </ul>`
}

function mailPage(mail: StoredMail, publicUrl: string): Html {
  return page(
    mail.subject,
    publicUrl,
    html`<p><a href="/mail">All mail</a></p>
      <h1>${mail.subject || 'Without a subject'}</h1>
      <dl class="head">
        <div><dt>From</dt><dd>${mail.from}</dd></div>
        <div><dt>To</dt><dd><a href="/mail?to=${encodeURIComponent(mail.to)}">${mail.to}</a></dd></div>
        <div><dt>Arrived</dt><dd><time datetime="${mail.received_at}">${clockTime(mail)}</time></dd></div>
      </dl>
      ${
        mail.html === ''
          ? ''
          : html`<iframe class="letter" title="The mail as HTML" src="/mail/${mail.id}/html" referrerpolicy="no-referrer"
              sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>`
      }
      <h2>Its links</h2>
      ${
        mail.links.length === 0
          ? html`<p class="empty">It has none.</p>`
          : html`<ul class="lines">${mail.links.map((link) => html`<li><a href="${link}" rel="noreferrer">${link}</a></li>`)}</ul>`
      }
      <h2 id="as-text">As plain text</h2>
      <pre class="plain" tabindex="0" role="region" aria-labelledby="as-text">${mail.text}</pre>`,
  )
}

/** In UTC: a mailbox knows nobody's time zone. */
function clockTime(mail: StoredMail): string {
  return `${mail.received_at.slice(0, 10)} ${mail.received_at.slice(11, 19)} UTC`
}
