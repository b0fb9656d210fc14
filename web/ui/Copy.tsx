import { useEffect, useState } from 'react'
import { Button } from './Button.tsx'
import { copyText } from './copying.ts'

const SAID_MS = 2000

/** Copies `text`. `named` says what ("the phone number") to whom cannot see where the button stands. `hotkey`: one letter does the same. */
export function Copy({ text, named, hotkey }: { text: string; named: string; hotkey?: string }) {
  const [said, setSaid] = useState<'' | 'Copied' | 'Not copied'>('')
  const copy = async () => setSaid((await copyText(text)) ? 'Copied' : 'Not copied')

  useEffect(() => {
    if (!said) return
    const timer = setTimeout(() => setSaid(''), SAID_MS)
    return () => clearTimeout(timer)
  }, [said])

  useEffect(() => {
    if (!hotkey) return
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest('input, select, textarea')
      const withModifier = event.ctrlKey || event.metaKey || event.altKey
      if (typing || withModifier || event.key.toLowerCase() !== hotkey) return
      void copyText(text).then((copied) => setSaid(copied ? 'Copied' : 'Not copied'))
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [hotkey, text])

  return (
    <Button onClick={copy} aria-label={`Copy ${named}`} aria-keyshortcuts={hotkey}>
      <span role="status">{said || 'Copy'}</span>
    </Button>
  )
}
