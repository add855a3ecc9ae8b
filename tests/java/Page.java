import java.io.FileInputStream;
import java.net.Socket;
import java.net.URL;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;

/** Prints a page that demands a client certificate. Arguments: address, authority (PEM), key's name; PIN in PIN. */
class Page {
    public static void main(String[] arguments) throws Exception {
        var card = Security.getProvider("SunPKCS11").configure("java.cfg");
        Security.addProvider(card);
        var keys = KeyStore.getInstance("PKCS11", card);
        keys.load(null, System.getenv("PIN").toCharArray());

        var trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (var file = new FileInputStream(arguments[1])) {
            var authority = CertificateFactory.getInstance("X.509").generateCertificate(file);
            trusted.setCertificateEntry("authority", authority);
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);

        var context = SSLContext.getInstance("TLS");
        context.init(new KeyManager[] {new OneKey(keys, arguments[2])}, trust.getTrustManagers(), null);
        var connection = (HttpsURLConnection) new URL(arguments[0]).openConnection();
        connection.setSSLSocketFactory(context.getSocketFactory());
        connection.getInputStream().transferTo(System.out);
    }

    /** The card has several keys; this is the one that the user chose. */
    static class OneKey extends X509ExtendedKeyManager {
        private final KeyStore keys;
        private final String name;

        OneKey(KeyStore keys, String name) {
            this.keys = keys;
            this.name = name;
        }

        @Override
        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return name;
        }

        @Override
        public X509Certificate[] getCertificateChain(String alias) {
            try {
                return new X509Certificate[] {(X509Certificate) keys.getCertificate(alias)};
            } catch (Exception failure) {
                throw new IllegalStateException(failure);
            }
        }

        @Override
        public PrivateKey getPrivateKey(String alias) {
            try {
                return (PrivateKey) keys.getKey(alias, null);
            } catch (Exception failure) {
                throw new IllegalStateException(failure);
            }
        }

        @Override
        public String[] getClientAliases(String type, Principal[] issuers) {
            return new String[] {name};
        }

        @Override
        public String[] getServerAliases(String type, Principal[] issuers) {
            return new String[0];
        }

        @Override
        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            return null;
        }
    }
}
