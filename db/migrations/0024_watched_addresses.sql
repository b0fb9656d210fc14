-- The followers read, before each block, which addresses of their coin are new.
create index crypto_addresses_of_family on crypto_addresses (family, id);
