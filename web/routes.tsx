import { createRootRoute, createRoute, createRouter } from '@tanstack/react-router'
import { Billing } from './billing/Billing.tsx'
import { Home } from './home/Home.tsx'
import { NumbersPage } from './numbers/NumbersPage.tsx'
import { OrderPage } from './numbers/OrderPage.tsx'
import {
  parseSearch,
  readBillingSearch,
  readNumbersSearch,
  readReturnSearch,
  readTopUpSearch,
  stringifySearch,
} from './paths.ts'
import { Broken, NotFound } from './shell/Broken.tsx'
import { Shell } from './shell/Shell.tsx'
import { TopUpPage } from './topup/TopUpPage.tsx'
import { CancelledPage, ReturnPage, TopupPage } from './topup/TopupPages.tsx'

/** Table of contents: every page. `/` is the signed-out page or Home; the others ask for a sign-in in their place. */
const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: Broken })
const page = { getParentRoute: () => root, errorComponent: Broken }

const routes = [
  createRoute({ ...page, path: '/', component: Home }),
  createRoute({ ...page, path: '/top-up', component: TopUpPage, validateSearch: readTopUpSearch }),
  createRoute({ ...page, path: '/topups/$id', component: TopupPage }),
  createRoute({ ...page, path: '/topups/$id/return', component: ReturnPage, validateSearch: readReturnSearch }),
  createRoute({ ...page, path: '/topups/$id/cancelled', component: CancelledPage }),
  createRoute({ ...page, path: '/numbers', component: NumbersPage, validateSearch: readNumbersSearch }),
  createRoute({ ...page, path: '/numbers/$orderId', component: OrderPage }),
  createRoute({ ...page, path: '/billing', component: Billing, validateSearch: readBillingSearch }),
] as const

export const router = createRouter({
  routeTree: root.addChildren(routes),
  scrollRestoration: true,
  defaultPreload: false,
  parseSearch,
  stringifySearch,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
