import type { StaffCryptoItem } from '../../contract/contract.ts'
import { Time } from '../ui/Time.tsx'

/** Who did what, and why; what nobody here did has no name. */
export function History({ actions }: { actions: StaffCryptoItem['history'] }) {
  if (actions.length === 0) return null
  return (
    <ul className="text-note text-quiet">
      {actions.map((action) => (
        <li key={`${action.at}${action.what}`} className="wrap-anywhere">
          <Time at={action.at} precision="minutes" />:{' '}
          {action.by === null ? capitalised(action.what) : `${action.by} ${action.what}`}
          {action.why === null ? '' : `. ${action.why}`}
        </li>
      ))}
    </ul>
  )
}

function capitalised(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
}
