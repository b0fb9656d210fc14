import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import { Billing } from './billing/Billing.tsx'
import { SignInPage } from './joining/SignIn.tsx'
import { NumbersPage } from './numbers/NumbersPage.tsx'
import { OrderPage } from './numbers/OrderPage.tsx'
import {
  parseSearch,
  readBillingSearch,
  readHelpSearch,
  readNextSearch,
  readNumbersSearch,
  readOrdersSearch,
  readPolicySearch,
  readReturnSearch,
  readStaffListSearch,
  readTopUpSearch,
  stringifySearch,
} from './paths.ts'
import { Start } from './public/Start.tsx'
import { Broken, NotFound } from './shell/Broken.tsx'
import { Shell } from './shell/Shell.tsx'
import { TopUpPage } from './topup/TopUpPage.tsx'
import { CancelledPage, ReturnPage, TopupPage } from './topup/TopupPages.tsx'
import { Loading } from './ui/Loading.tsx'

declare module '@tanstack/react-router' {
  interface StaticDataRouteOption {
    /** The page is for everybody; the others ask for a sign-in in their place. */
    open?: true
    /** It has tables or code to show and takes the whole width, where the others are for reading. */
    wide?: true
    /** For members of staff: drawn in a frame of its own. */
    staff?: true
  }
}

/** Table of contents: every page. What a customer uses every day comes with the first load, the rest when it is asked for. */
const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: Broken })
const page = { getParentRoute: () => root, errorComponent: Broken }
const openPage = { ...page, staticData: { open: true as const } }
const policyPage = {
  ...openPage,
  validateSearch: readPolicySearch,
  component: lazyRouteComponent(() => import('./public/PolicyPage.tsx'), 'PolicyPage'),
}
const confirm = () => import('./joining/Confirm.tsx')
const password = () => import('./joining/Password.tsx')
const help = () => import('./help/HelpPages.tsx')
const settings = () => import('./settings/SettingsPages.tsx')

const routes = [
  createRoute({ ...page, path: '/', component: Start, staticData: { open: true, wide: true } }),
  createRoute({ ...openPage, path: '/sign-in', component: SignInPage, validateSearch: readNextSearch }),
  createRoute({ ...page, path: '/top-up', component: TopUpPage, validateSearch: readTopUpSearch }),
  createRoute({ ...page, path: '/topups/$id', component: TopupPage }),
  createRoute({ ...page, path: '/topups/$id/return', component: ReturnPage, validateSearch: readReturnSearch }),
  createRoute({ ...page, path: '/topups/$id/cancelled', component: CancelledPage }),
  createRoute({
    ...page,
    path: '/topups/$id/receipt',
    component: lazyRouteComponent(() => import('./topup/ReceiptPage.tsx'), 'ReceiptPage'),
  }),
  createRoute({ ...page, path: '/numbers', component: NumbersPage, validateSearch: readNumbersSearch }),
  createRoute({
    ...page,
    path: '/numbers/orders',
    component: lazyRouteComponent(() => import('./numbers/OrdersPage.tsx'), 'OrdersPage'),
    validateSearch: readOrdersSearch,
  }),
  createRoute({ ...page, path: '/numbers/$orderId', component: OrderPage }),
  createRoute({ ...page, path: '/billing', component: Billing, validateSearch: readBillingSearch }),

  createRoute({ ...page, path: '/settings', component: lazyRouteComponent(settings, 'ProfilePage') }),
  createRoute({ ...page, path: '/settings/security', component: lazyRouteComponent(settings, 'SecurityPage') }),
  createRoute({ ...page, path: '/settings/keys', component: lazyRouteComponent(settings, 'KeysPage') }),
  createRoute({ ...page, path: '/settings/mails', component: lazyRouteComponent(settings, 'MailsPage') }),

  createRoute({
    ...openPage,
    path: '/join',
    component: lazyRouteComponent(() => import('./joining/Join.tsx'), 'JoinPage'),
    validateSearch: readNextSearch,
  }),
  createRoute({
    ...openPage,
    path: '/join/check-mail',
    component: lazyRouteComponent(() => import('./joining/CheckMail.tsx'), 'CheckMailPage'),
  }),
  createRoute({ ...openPage, path: '/join/confirm', component: lazyRouteComponent(confirm, 'ConfirmPage') }),
  createRoute({ ...openPage, path: '/email/confirm', component: lazyRouteComponent(confirm, 'ConfirmEmailPage') }),
  createRoute({ ...openPage, path: '/password/forgotten', component: lazyRouteComponent(password, 'ForgottenPage') }),
  createRoute({ ...openPage, path: '/password/reset', component: lazyRouteComponent(password, 'ResetPage') }),

  createRoute({
    ...openPage,
    path: '/help',
    component: lazyRouteComponent(help, 'HelpPage'),
    validateSearch: readHelpSearch,
  }),
  createRoute({ ...openPage, path: '/help/$article', component: lazyRouteComponent(help, 'ArticlePage') }),
  createRoute({
    ...openPage,
    path: '/status',
    component: lazyRouteComponent(() => import('./public/StatusPage.tsx'), 'StatusPage'),
  }),
  createRoute({ ...policyPage, path: '/terms' }),
  createRoute({ ...policyPage, path: '/privacy' }),
  createRoute({ ...policyPage, path: '/acceptable-use' }),
  createRoute({ ...policyPage, path: '/refund-policy' }),
  createRoute({
    ...page,
    path: '/api/docs',
    component: lazyRouteComponent(() => import('./docs/DocsPage.tsx'), 'DocsPage'),
    staticData: { open: true, wide: true },
  }),
] as const

/** What members of staff see beyond that, in their own frame; nobody else ever loads it. */
const staff = createRoute({
  getParentRoute: () => root,
  id: 'staff',
  component: lazyRouteComponent(() => import('./staff/StaffFrame.tsx'), 'StaffFrame'),
  errorComponent: Broken,
  staticData: { staff: true },
})
const staffPage = { getParentRoute: () => staff, errorComponent: Broken }
const staffRoutes = [
  createRoute({
    ...staffPage,
    path: '/staff/reconciliation',
    component: lazyRouteComponent(() => import('./staff/ReconciliationPage.tsx'), 'ReconciliationPage'),
  }),
  createRoute({
    ...staffPage,
    path: '/staff/disputes',
    component: lazyRouteComponent(() => import('./staff/DisputesPage.tsx'), 'DisputesPage'),
    validateSearch: readStaffListSearch,
  }),
  createRoute({
    ...staffPage,
    path: '/staff/cards',
    component: lazyRouteComponent(() => import('./staff/CardsPage.tsx'), 'CardsPage'),
  }),
  createRoute({
    ...staffPage,
    path: '/staff/crypto',
    component: lazyRouteComponent(() => import('./staff/CryptoPage.tsx'), 'CryptoPage'),
    validateSearch: readStaffListSearch,
  }),
  createRoute({
    ...staffPage,
    path: '/staff/crypto-refunds',
    component: lazyRouteComponent(() => import('./staff/CryptoRefundsPage.tsx'), 'CryptoRefundsPage'),
    validateSearch: readStaffListSearch,
  }),
  createRoute({
    ...staffPage,
    path: '/staff/events',
    component: lazyRouteComponent(() => import('./staff/EventsPage.tsx'), 'EventsPage'),
    validateSearch: readStaffListSearch,
  }),
] as const

export const router = createRouter({
  routeTree: root.addChildren([...routes, staff.addChildren(staffRoutes)]),
  scrollRestoration: true,
  defaultPreload: false,
  defaultPendingMs: 0,
  defaultPendingComponent: Loading,
  parseSearch,
  stringifySearch,
  // What a page does not read leaves its address.
  search: { strict: true },
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
