/** The sample shop of one site as a program; `shop/` holds what it is made of. */
import { announceReady, endpointSetting, setting } from './program.ts';
import { startShop } from './shop/start.ts';

const receiptsUrls = process.env['MUSTER_SHOP_RECEIPTS_URLS'];

const shop = await startShop({
  site: setting('MUSTER_SITE'),
  listen: endpointSetting('MUSTER_LISTEN'),
  databaseUrl: setting('MUSTER_SHOP_DATABASE_URL'),
  ...(receiptsUrls !== undefined && {
    receipts: {
      endpoints: receiptsUrls.split(','),
      bucket: 'receipts',
      credentials: {
        accessKey: setting('MUSTER_SHOP_RECEIPTS_USER'),
        secretKey: setting('MUSTER_SHOP_RECEIPTS_PASSWORD'),
        region: 'us-east-1',
      },
    },
  }),
});
announceReady({ url: shop.url }, () => shop.close());
