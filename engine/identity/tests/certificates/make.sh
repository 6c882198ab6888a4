#!/bin/sh
# Makes the certificates beside this file anew (OpenSSL 3). They are good for 100 years, and for tests only.
set -eu
cd "$(dirname "$0")"
rm -f *.pem *.p12 *.sha256
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=authority" -keyout ca.key -out ca.crt
openssl req -newkey rsa:2048 -nodes -subj "/CN=application" -addext keyUsage=digitalSignature -keyout own.key -out own.csr
openssl x509 -req -copy_extensions copy -in own.csr -CA ca.crt -CAkey ca.key -days 36500 -out own.crt
# The authority first: which of them is the application's own is for the reader to find out.
cat own.key ca.crt own.crt >plain.pem
openssl rsa -in own.key -traditional -out pkcs1.key
cat pkcs1.key own.crt ca.crt >pkcs1.pem
openssl pkcs8 -topk8 -in own.key -v2 aes-256-cbc -passout pass:hunter2 -out encrypted.key
cat own.crt ca.crt encrypted.key >encrypted.pem
openssl pkcs8 -topk8 -in own.key -v2 des3 -v2prf hmacWithSHA1 -passout pass:hunter2 -out des.key
cat des.key own.crt ca.crt >encrypted-3des.pem
openssl pkcs12 -export -inkey own.key -in own.crt -certfile ca.crt -passout pass:hunter2 -out modern.p12
openssl pkcs12 -export -legacy -inkey own.key -in own.crt -certfile ca.crt -passout pass:hunter2 -out legacy.p12
openssl pkcs12 -export -inkey own.key -in own.crt -certfile ca.crt -passout pass: -out empty-password.p12
openssl pkcs12 -export -nomac -inkey own.key -in own.crt -passout pass:hunter2 -out no-mac.p12
cat own.crt >no-key.pem
cat own.key ca.crt >no-certificate.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=ec" -keyout ec.key -out ec.crt
cat ec.key ec.crt >ec.pem
openssl x509 -in own.crt -noout -fingerprint -sha256 | sed 's/.*=//' >plain.sha256
rm -f *.key *.crt *.csr *.srl
