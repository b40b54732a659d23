/** The shop's table, and the role its processes use: no superuser, so that no lease or read-only state is passed by. */
export const createOrders = `
  CREATE TABLE orders (
    id uuid PRIMARY KEY,
    customer text NOT NULL,
    amount_cents int NOT NULL,
    site text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
  )`;

/** @param quotedPassword the role's password as an SQL literal */
export function createShopRole(quotedPassword: string): string[] {
  return [
    `CREATE ROLE shop LOGIN NOSUPERUSER PASSWORD ${quotedPassword}`,
    'GRANT SELECT, INSERT, UPDATE ON orders TO shop',
  ];
}
