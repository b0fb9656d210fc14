import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { Below, box, described } from './Field.tsx'

export type Option = {
  value: string
  text: string
  /** What else it is found by. */
  words?: string
  /** Stands at its end, quietly. */
  note?: string
}

/** All that there are, so that the chosen one is among them when the list opens: some four hundred time zones. */
const SHOWN_MAX = 600

/** One of many, found by typing a part of it. What is typed in part and not chosen is forgotten when the field is left. */
export function Combobox({
  id: given,
  label,
  hint,
  problem,
  options,
  value,
  choose,
  none,
}: {
  id?: string
  label: string
  hint?: ReactNode
  problem?: ReactNode
  options: Option[]
  value: string
  choose: (value: string) => void
  /** What stands there when nothing fits. */
  none: string
}) {
  const made = useId()
  const id = given ?? made
  const [typed, type] = useState<string | null>(null)
  const [at, setAt] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const open = typed !== null
  const chosen = options.find((option) => option.value === value)?.text ?? value
  const found = open ? fitting(options, typed === chosen ? '' : typed).slice(0, SHOWN_MAX) : []
  const place = Math.min(at, found.length - 1)

  useEffect(() => {
    if (open) list.current?.children[place]?.scrollIntoView({ block: 'nearest' })
  }, [open, place])

  function show() {
    type(chosen)
    setAt(
      Math.max(
        0,
        fitting(options, '').findIndex((option) => option.value === value),
      ),
    )
  }

  function take(option: Option) {
    choose(option.value)
    type(null)
  }

  /** What was typed out in full counts as chosen. */
  function leave() {
    const whole = found.find((option) => option.text.toLowerCase() === typed?.trim().toLowerCase())
    if (whole && whole.value !== value) choose(whole.value)
    type(null)
  }

  function press(event: KeyboardEvent) {
    switch (event.key) {
      case 'ArrowDown':
      case 'ArrowUp':
        event.preventDefault()
        if (!open) return show()
        return setAt((place + (event.key === 'ArrowDown' ? 1 : -1) + found.length) % Math.max(1, found.length))
      case 'Enter': {
        const option = found[place]
        if (!open || !option) return
        event.preventDefault()
        return take(option)
      }
      case 'Escape':
        if (!open) return
        event.preventDefault()
        return type(null)
    }
  }

  return (
    <div className="grid min-w-0 content-start gap-4">
      <label htmlFor={id} className="text-label font-medium">
        {label}
      </label>
      <div className="relative">
        <input
          id={id}
          role="combobox"
          aria-expanded={open}
          aria-autocomplete="list"
          aria-controls={open && found.length > 0 ? `${id}-list` : undefined}
          aria-activedescendant={open && found.length > 0 ? `${id}-${place}` : undefined}
          {...described(id, hint, problem)}
          autoComplete="off"
          autoCorrect="off"
          spellCheck={false}
          maxLength={64}
          value={typed ?? chosen}
          onFocus={(event) => event.currentTarget.select()}
          onClick={() => !open && show()}
          onChange={(event) => {
            type(event.currentTarget.value)
            setAt(0)
          }}
          onKeyDown={press}
          onBlur={leave}
          className={box}
        />
        {open && (
          <div className="absolute inset-x-0 top-full z-20 mt-4 rounded-control border border-edge bg-sheet shadow-menu">
            {found.length === 0 ? (
              <p role="status" className="px-8 py-8 text-label text-quiet">
                {none}
              </p>
            ) : (
              <div
                ref={list}
                id={`${id}-list`}
                role="listbox"
                aria-label={label}
                className="max-h-menu overflow-y-auto"
              >
                {found.map((option, index) => (
                  // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the focus and the keys (aria-activedescendant)
                  <div
                    key={option.value}
                    id={`${id}-${index}`}
                    role="option"
                    tabIndex={-1}
                    aria-selected={index === place}
                    // The field keeps the focus, so that it is not left before the press arrives.
                    onPointerDown={(event) => event.preventDefault()}
                    onClick={() => take(option)}
                    className={`flex min-h-target cursor-pointer items-center justify-between gap-16 px-8 py-4 ${index === place ? 'bg-sunk font-medium' : ''}`}
                  >
                    <span className="min-w-0 break-words">{option.text}</span>
                    {option.note && <span className="text-label text-quiet">{option.note}</span>}
                  </div>
                ))}
              </div>
            )}
          </div>
        )}
      </div>
      <Below id={id} hint={hint} problem={problem} />
    </div>
  )
}

/** Those with every word that was typed; first those with a part that begins so. */
function fitting(options: Option[], typed: string): Option[] {
  const words = typed
    .toLowerCase()
    .split(/[\s/_]+/)
    .filter(Boolean)
  const found = options.filter((option) => {
    const text = `${option.text} ${option.value} ${option.words ?? ''}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
  const begins = ({ text }: Option) =>
    words.length > 0 &&
    text
      .toLowerCase()
      .split(/[\s/]/)
      .some((part) => part.startsWith(words[0]!))
  return [...found.filter(begins), ...found.filter((option) => !begins(option))]
}
