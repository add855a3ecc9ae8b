import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Security;
import java.security.Signature;
import java.util.ArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Signs in many threads with one login. Arguments: threads, signatures of each, key's name, algorithm; PIN in PIN. */
class Threads {
    public static void main(String[] arguments) throws Exception {
        var card = Security.getProvider("SunPKCS11").configure("java.cfg");
        Security.addProvider(card);
        var keys = KeyStore.getInstance("PKCS11", card);
        keys.load(null, System.getenv("PIN").toCharArray());
        var key = (PrivateKey) keys.getKey(arguments[2], null);
        var certified = keys.getCertificate(arguments[2]).getPublicKey();

        var threads = Executors.newFixedThreadPool(Integer.parseInt(arguments[0]));
        var results = new ArrayList<Future<Integer>>();
        for (int thread = 0; thread < Integer.parseInt(arguments[0]); thread++) {
            String document = "document of thread " + thread + ", number ";
            results.add(threads.submit(() -> {
                int good = 0;
                for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
                    var signer = Signature.getInstance(arguments[3], card);
                    signer.initSign(key);
                    signer.update((document + number).getBytes());
                    if (verifies(signer.sign(), document + number, certified, arguments[3])) {
                        good++;
                    }
                }
                return good;
            }));
        }
        int good = 0;
        for (var result : results) {
            good += result.get();
        }
        threads.shutdown();
        System.out.println(good + " signatures are good");
    }

    /** By Java's own code, with the key of the certificate. */
    static boolean verifies(byte[] signature, String document, PublicKey certified, String algorithm) throws Exception {
        var provider = certified.getAlgorithm().equals("EC") ? "SunEC" : "SunRsaSign";
        var judge = Signature.getInstance(algorithm, provider);
        judge.initVerify(certified);
        judge.update(document.getBytes());
        return judge.verify(signature);
    }
}
