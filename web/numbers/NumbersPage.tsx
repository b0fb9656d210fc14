import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { paths } from '../paths.ts'
import { Page } from '../shell/Page.tsx'
import { linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { PriceList } from './PriceList.tsx'

const ROWS_AT_FIRST = 24

export function NumbersPage() {
  const { q = '' } = getRouteApi('/numbers').useSearch()
  const navigate = useNavigate()
  return (
    <Page title="Numbers" ownFocus>
      <PriceList
        typed={q}
        type={(words) => navigate({ ...paths.numbers(words ? { q: words } : {}), replace: true, resetScroll: false })}
        rowsMax={ROWS_AT_FIRST}
        takesFocus
      />
      <EdgeText className="pt-24 pb-48">
        <Link {...paths.orders()} className={linkClass}>
          Your orders
        </Link>
      </EdgeText>
    </Page>
  )
}
