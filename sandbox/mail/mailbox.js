/** Lets new mail appear in an open list. Without it the page shows what had arrived when it was loaded. */
const mails = document.getElementById('mails')
const said = document.getElementById('said')
const LOOK_MILLISECONDS = 1000

if (mails) void look()

async function look() {
  let last = null
  for (;;) {
    try {
      const answer = await fetch(`/mail/list?to=${encodeURIComponent(mails.dataset.to)}`)
      const list = await answer.text()
      if (answer.ok && last !== null && list !== last) {
        show(list)
        said.textContent = 'The list has changed.'
      } else if (said.dataset.away) said.textContent = ''
      delete said.dataset.away
      if (answer.ok) last = list
    } catch {
      said.dataset.away = 'yes'
      said.textContent = 'Not live for the moment. Trying again.'
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS))
  }
}

function show(list) {
  // What has focus keeps it, though its element is drawn anew.
  const focused = mails.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null
  mails.innerHTML = list
  if (focused) mails.querySelector(`a[href="${focused}"]`)?.focus({ preventScroll: true })
}
