import java.io.FileInputStream;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/** Validates files: Check FLAVOUR[,FLAVOUR] FILE... says every broken rule; 0 where there is none. */
public class Check {
    public static void main(String[] args) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        boolean good = true;
        for (int i = 1; i < args.length; i++) {
            for (String flavour : args[0].split(",")) {
                good &= check(args[i], PDFAFlavour.fromString(flavour));
            }
        }
        System.exit(good ? 0 : 1);
    }

    static boolean check(String file, PDFAFlavour flavour) throws Exception {
        try (PDFAParser parser = Foundries.defaultInstance().createParser(new FileInputStream(file), flavour);
             PDFAValidator validator = Foundries.defaultInstance().createValidator(flavour, false)) {
            ValidationResult result = validator.validate(parser);
            System.out.println(file + " " + flavour + " " + (result.isCompliant() ? "valid" : "NOT valid"));
            for (TestAssertion a : result.getTestAssertions()) {
                if (a.getStatus() == TestAssertion.Status.FAILED) {
                    System.out.println("  " + a.getRuleId() + " " + a.getMessage() + " at " + a.getLocation());
                }
            }
            return result.isCompliant();
        }
    }
}
