/** A card's brand as people write it; Stripe's words are small: `visa`, `amex`. */
export function cardBrandName(brand: string): string {
  switch (brand) {
    case 'amex':
      return 'American Express'
    case 'jcb':
      return 'JCB'
    case 'unionpay':
      return 'UnionPay'
    default:
      return brand.charAt(0).toUpperCase() + brand.slice(1)
  }
}
