using Millau.Forwarding;

namespace Millau.Tests.Forwarding;

public class RetryRuleTests
{
    [Theory]
    [InlineData("GET", true)]
    [InlineData("HEAD", true)]
    [InlineData("OPTIONS", true)]
    [InlineData("TRACE", true)]
    [InlineData("PUT", true)]
    [InlineData("DELETE", true)]
    [InlineData("POST", false)]
    [InlineData("PATCH", false)]
    [InlineData("CONNECT", false)]
    [InlineData("get", false)]
    [InlineData("PURGE", false)]
    public void Idempotent_methods_are_those_of_RFC_9110(string method, bool idempotent) =>
        Assert.Equal(idempotent, RetryRule.IsIdempotent(method));

    [Fact]
    public void What_was_never_sent_is_always_sent_again_and_what_was_sent_only_if_it_may_be()
    {
        foreach (var failure in Enum.GetValues<AttemptFailure>().Where(f => f != AttemptFailure.None))
        {
            var unsent = failure is AttemptFailure.Connect or AttemptFailure.ConnectTimeout or AttemptFailure.Local
                or AttemptFailure.Tls;
            Assert.True(RetryRule.MayRetry(failure, repeatable: true, bodyKept: true), $"{failure}");
            Assert.Equal(unsent, RetryRule.MayRetry(failure, repeatable: false, bodyKept: true));
            Assert.False(RetryRule.MayRetry(failure, repeatable: true, bodyKept: false), $"{failure}");
        }
    }

    [Fact]
    public void An_instance_is_not_blamed_for_what_is_not_its_fault()
    {
        foreach (var failure in Enum.GetValues<AttemptFailure>())
            Assert.Equal(
                failure is not (AttemptFailure.None or AttemptFailure.Local or AttemptFailure.Stale),
                RetryRule.BlamesInstance(failure));
    }
}
