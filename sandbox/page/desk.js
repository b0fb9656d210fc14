/** Keeps the desk live and saves the reload after a press. Without it every button still works as a plain form. */
const said = document.getElementById('said')
const shown = new Map()

function show(parts) {
  for (const part of document.querySelectorAll('[data-part]')) {
    const name = part.dataset.part
    if (shown.get(name) === parts[name]) continue
    shown.set(name, parts[name])
    // What has focus keeps it, though its element is drawn anew.
    const focused = part.contains(document.activeElement) ? document.activeElement : null
    const unfolded = [...part.querySelectorAll('details[open]')].map(({ id }) => id)
    part.innerHTML = parts[name]
    for (const id of unfolded) document.getElementById(id)?.setAttribute('open', '')
    if (!focused) continue
    const again = focused.id && document.getElementById(focused.id)
    if (again) again.focus({ preventScroll: true })
    else {
      part.tabIndex = -1
      part.focus({ preventScroll: true })
    }
  }
  // The first one was said before this page was opened.
  if (shown.has('said') && shown.get('said') !== parts.said) say(parts.said.replace(/^\d+ /, ''))
  shown.set('said', parts.said)
  tick()
}

function say(sentence) {
  said.textContent = sentence
}

function tick() {
  for (const time of document.querySelectorAll('time[data-ahead]')) {
    time.textContent = new Intl.DateTimeFormat('en-GB', {
      timeZone: time.dataset.zone,
      weekday: 'short',
      day: 'numeric',
      month: 'short',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    }).format(Date.now() + Number(time.dataset.ahead))
  }
}
setInterval(tick, 1000)
tick()

const live = new EventSource('/desk/events')
live.addEventListener('parts', (event) => show(JSON.parse(event.data)))
live.addEventListener('error', () => say('Not live for the moment. Trying again.'))

document.addEventListener('submit', async (event) => {
  const form = event.target
  event.preventDefault()
  const body = new URLSearchParams(new FormData(form, event.submitter))
  if (event.submitter) event.submitter.setAttribute('aria-disabled', 'true')
  try {
    const answer = await fetch(form.action, { method: 'POST', body, redirect: 'manual' })
    if (answer.type !== 'opaqueredirect' && !answer.ok) say((await answer.json()).detail)
  } catch {
    say('The sandbox does not answer. Was it stopped?')
  } finally {
    event.submitter?.removeAttribute('aria-disabled')
  }
})
